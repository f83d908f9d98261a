"""The vicinal distribution: who mixes with whom, how much, where, and to which target.

weights     lambda and its laws
pairing     partners within a batch
neighbours  partners among the nearest of the whole set
mix         the mixture itself, of anything with a batch axis
targets     what the target becomes, where it is not the mixture
cutmix, noise, sequences, gan   what stands beside mixup
exchange    partners on other devices
vicinity    all of it as one value, for training steps
"""
