let x = "b"; in [ /a/${x} /a/${x}c/d (/. + x) ]
