"""Embeddings of videos that a model server computes: TensorFlow Serving, by its REST interface."""
