builtins.fromTOML ''
  [[p]]
  n = 1
  [[p]]
  n = 2
''
