builtins.fromTOML "a = \"x\\ty\"\nb = 'x\\ty'\nc = \"\"\"\nx\\\n  y\"\"\"\nd = '''\nz'''"
