builtins.findFile [ { prefix = "x"; path = "/no-such-place"; } ] "x"
