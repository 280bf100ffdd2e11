"""The API with an endpoint that raises an unexpected error; tests start it as a process of its own."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from serving.api.app import create_app
from serving.settings import ServingSettings


def crashing() -> FastAPI:
    app = create_app()

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("a secret of the house")

    return app


if __name__ == "__main__":
    uvicorn.run(crashing(), port=ServingSettings().api_port, log_config=None, access_log=False)
