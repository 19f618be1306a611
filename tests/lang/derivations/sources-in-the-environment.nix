(derivation { name = "n"; system = "s"; builder = "b"; src = builtins.toFile "src" "text"; }).drvPath
