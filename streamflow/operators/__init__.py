"""What to do with items: one file a family. Each function returns a `Stage` or a `Sink`; `Stream` has them as methods.

Import from the modules, or from the face: `import streamflow as sf`.
"""
