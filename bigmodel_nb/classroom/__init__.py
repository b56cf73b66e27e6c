"""A class of learners: workspaces handed out, collected and graded."""
