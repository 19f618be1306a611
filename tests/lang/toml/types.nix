builtins.fromTOML ''
  i = 42
  h = 0xff
  o = 0o17
  b = 0b101
  f = 1.5
  t = true
  s = "q\n"
  l = 'raw\n'
  m = """
  multi
  line"""
''
