"""An app that streams: downloads, uploads with live validation, live statistics. `make app` starts and opens it.

    python -m examples.fastapi_app                                  # the same by hand
    python -m uvicorn --app-dir examples fastapi_app.main:app       # as a server of your own would

`main` has the routes, `orders` the database, `uploads` what an upload goes through, `live` what runs in the background.
The pages are the files in `static/`: no build step, nothing from other hosts.
"""
