"""The command `mastra`: one verb a module, imported when it is called."""
