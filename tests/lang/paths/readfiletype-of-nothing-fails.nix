builtins.readFileType /no-such-place
