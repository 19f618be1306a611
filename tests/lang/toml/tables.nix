builtins.fromTOML ''
  a = 1
  [b]
  c = "x"
  [b.d]
  e = [1, 2]
''
