"${{ __toString = self: "<${self.name}>"; name = "n"; }}"
