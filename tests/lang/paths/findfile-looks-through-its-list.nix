builtins.findFile [ { prefix = "x"; path = "/nonexistent"; } ] "x"
