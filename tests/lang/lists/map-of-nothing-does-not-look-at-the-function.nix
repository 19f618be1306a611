map (throw "no") [ ]
