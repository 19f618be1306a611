(derivation { name = "n"; system = "s"; builder = "b"; outputHash = "nonsense"; outputHashAlgo = "sha256"; }).drvPath
