(derivation { name = throw "never"; system = "s"; builder = "b"; }).type
