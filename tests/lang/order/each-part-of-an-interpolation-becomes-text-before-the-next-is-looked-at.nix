"${{ }}${throw "second"}"
