"""Own builders of tensorflow-datasets, for sets that it has none of.

`uci` and `speech_commands` hold the builders and alone import tensorflow-datasets. Of
the UCI sets, `tables` says what is known in advance, `parsing` reads the rows, `files`
finds the files; `speech_files` does all that for speech commands.
"""
