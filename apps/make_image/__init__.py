"""From images to a new one: Cephalo designs, a generator of diffusers draws, Cephalo judges."""
