"""What schemas/build.py is made of: sources in, generated files out. Nothing here imports the project's packages."""
