builtins.toFile "b" "see ${derivation { name = "n"; system = "s"; builder = "b"; }}"
