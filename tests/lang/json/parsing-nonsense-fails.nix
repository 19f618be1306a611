builtins.fromJSON "nonsense"
