"""`dpd doctor`: what is wrong with an endpoint that runs.

`local` and `cluster` gather facts, `checks` judges them, `text` shows the findings, `command` is the way in and out.
"""
