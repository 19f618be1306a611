"a\nb\tc\r\"\\\${x}$x$$"
