"""The jobs of the sample contact centre: their SQL, and the functions in Java that it calls (`plugin`)."""
