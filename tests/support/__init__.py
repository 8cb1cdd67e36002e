"""What several suites share: free ports, paths of the repository."""
