builtins.fromTOML "a = 0xff\nb = 0o17\nc = 0b11\nd = 1_000\ne = -5\nf = 1e3"
