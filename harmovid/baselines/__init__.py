"""Other methods under the harmonizer protocol of `harmovid.infer.views`."""
