"a" && true
