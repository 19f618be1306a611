let __lessThan = a: b: "less"; in 1 < 2
