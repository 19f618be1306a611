builtins.fromTOML "a = 1\n[b]\nc = 'x'\nd = [1, 2.5, true]\n[[e]]\nf = {g = 1}\n[[e]]\n"
