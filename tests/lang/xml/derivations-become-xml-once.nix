builtins.toXML (let d = { type = "derivation"; drvPath = "/d"; outPath = "/o"; name = "n"; }; in [ d d ])
