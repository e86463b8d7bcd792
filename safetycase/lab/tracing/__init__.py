"""The stages of a circuit trace: graphs of many prompts, the features that recur in them, and what ablating these does."""
