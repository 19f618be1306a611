builtins.readFileType /nonexistent
