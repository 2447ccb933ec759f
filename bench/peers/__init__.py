"""What ours is measured against: the least work there is (floors) and what a user would pick instead (peers).

Run by the interpreter of .venv-bench and never imported by the service.
"""
