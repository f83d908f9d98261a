"""Images of any size, kept as they were encoded and decoded when they are asked for.

images    where they are: files, records, packed arrays
survey    a look at each of them, once
boxes     which part of an image a network sees
decoding  from bytes to pixels; the only place that knows OpenCV
stream    batches of them, made ahead by threads
colour    jitter and lighting, on the device
"""
