/* empty: the spec's ffi knows these types */
