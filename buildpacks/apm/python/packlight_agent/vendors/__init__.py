"""One module for each vendor, named by its id; `wake(open_layer)` prepares this process for its agent."""
