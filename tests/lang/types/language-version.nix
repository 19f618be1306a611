[ builtins.langVersion builtins.storeDir (builtins.nixVersion == "2.34.8") ]
