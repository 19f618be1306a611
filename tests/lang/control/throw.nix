throw "on purpose"
