"""The Gradio page: components and events. Their content comes from view.py, markup.py and visit.py.

The page works offline: no analytics, no version check, no external fonts, no hosted API. It is served with a content
security policy that restricts the browser to this server. Gradio is imported only when the page is built.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from recbole_llmfashion.errors import UserError, needs_extra
from recbole_llmfashion.pipeline.export import backbone_name
from recbole_llmfashion.prompt.texts import TEXT_LIMIT
from recbole_llmfashion.serving.demo import markup, visit
from recbole_llmfashion.serving.demo.address import address_error, in_url
from recbole_llmfashion.serving.demo.examples import examples
from recbole_llmfashion.serving.demo.follow import Finished, OnText, follow
from recbole_llmfashion.serving.demo.view import Product, label, product, response_view, timeline
from recbole_llmfashion.serving.demo.visit import Visit
from recbole_llmfashion.serving.recommender import Explanation, Recommender

RESULTS = 8  # displayed products
IDLE = 3600  # seconds until the state of an inactive visitor is deleted
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'"
)
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
Clock = Callable[[], float]
log = logging.getLogger(__name__)


def gradio() -> Any:
    """Imports gradio with analytics and other network access disabled.

    Raises:
        UserError: gradio is not installed.
    """
    os.environ.update(OFFLINE)  # gradio reads these at import
    with needs_extra("demo"):
        import gradio as library
    return library


class Pages:
    """Handlers of the page's events, independent of Gradio components.

    Args:
        recommender: the recommender of a run.
        clock: returns the time in seconds since 1970.
    """

    def __init__(self, recommender: Recommender, clock: Clock = time.time) -> None:
        self.recommender, self.clock = recommender, clock
        self.customers = examples(recommender.state, clock())

    def start(self) -> Visit:
        """A visit without actions."""
        return self._show(Visit(), "")

    def pick(self, name: str) -> Visit:
        """The visit of an example customer, with the results of the last search."""
        example = self.customers.get(name, Visit())
        queries = [action.query for action in example.actions if action.query]
        return self._show(example, queries[-1] if queries else "")

    def search(self, before: Visit, text: str) -> Visit:
        """Adds a search and shows its results."""
        after = visit.searched(before, text, self.clock())
        return before if after is before else self._show(after, after.actions[-1].query)

    def click(self, before: Visit, text: str) -> Visit:
        """Adds a click on the product with this label; no change if it is not displayed any more."""
        items = [item for item in before.shown if label(self.recommender.state, item) == text]
        return visit.clicked(before, items[0], self.clock()) if items else before

    def buy(self, before: Visit) -> Visit:
        """Adds a purchase of the last clicked product."""
        return visit.bought(before, self.clock())

    def labels(self, now: Visit) -> list[str]:
        """Labels of the displayed products, padded with empty ones."""
        labels = [label(self.recommender.state, item) for item in now.shown]
        return labels + [""] * (RESULTS - len(labels))

    def products(self, now: Visit) -> list[Product]:
        """The displayed products."""
        return [product(self.recommender.state, item) for item in now.shown]

    def timeline(self, now: Visit) -> str:
        """The timeline as HTML."""
        return markup.timeline(timeline(now, self.recommender.state), now.full)

    def respond(self, now: Visit) -> Iterator[tuple[str, str | None, str | None]]:
        """Response, prompt and lists as HTML, repeatedly while the response is generated; None for no change."""
        actions = now.as_session(self.recommender.state.pool.catalogue)

        def explain(on_text: OnText) -> Explanation:
            return self.recommender.explain(actions, on_text=on_text)

        yield markup.answer("", None, len(actions)), None, None
        try:
            for message in follow(explain):
                if isinstance(message, Finished):
                    content = response_view(message.result)
                    response = markup.answer(content.response, content, len(actions))
                    yield response, markup.prompt(content), markup.lists(content, len(actions))
                else:
                    yield markup.answer(message.rstrip("\ufffd"), None, len(actions)), None, None
        except UserError as error:
            yield markup.problem(str(error)), None, None
        except Exception:
            log.exception("demo: a response failed")
            yield markup.problem("The response failed; see the terminal."), None, None

    def _show(self, now: Visit, query: str) -> Visit:
        return visit.showing(now, self.recommender.search(query, RESULTS), query)

    def facts(self) -> list[str]:
        """Short facts on the run, for the header."""
        run = self.recommender.state.run
        content, decoding = run.manifest.content, run.decoding
        title = "title from the catalogue" if decoding.response_title == "catalogue" else "generated title"
        return [
            f"{len(self.recommender.state.live):,} products",
            f"backbone {backbone_name(content)}",
            f"{decoding.decoding} decoding, {title}" if decoding.decoding == "constrained" else "sampled",
            f"ranking {run.ranking_settings.ranking}",
            f"seed {content['seed']}",
        ]


def build(pages: Pages) -> Any:
    """The page as Gradio Blocks.

    Raises:
        UserError: gradio is not installed.
    """
    gr = gradio()
    content = pages.recommender.state.run.manifest.content
    title = f"{content['model']} on {content['dataset']}"
    with gr.Blocks(title=title, analytics_enabled=False, fill_width=True) as blocks:
        state = gr.State(Visit(), time_to_live=IDLE)
        html = _html(gr)
        html(markup.head(content["model"], content["dataset"], pages.facts()))
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                names = list(pages.customers)
                who = gr.Radio(
                    names,
                    value=names[0],
                    label="Customer",
                    info="examples from the catalogue and the queries of the run",
                    elem_classes="lf-customers",
                )
                with gr.Row(equal_height=True):
                    text = gr.Textbox(
                        label="Search the shop", max_length=TEXT_LIMIT, lines=1, max_lines=1, scale=4, min_width=160
                    )
                    go = gr.Button("Search", variant="primary", scale=1, min_width=90)
                heading = html("", elem_id="results")
                with gr.Column(elem_classes="lf-products"):
                    products = [gr.Button("", visible=False, elem_classes="lf-product") for _ in range(RESULTS)]
                with gr.Row(elem_classes="lf-steps"):
                    buy = gr.Button("Buy the last clicked", size="md", min_width=150, scale=2)
                    undo = gr.Button("Undo", size="md", min_width=80)
                    clear = gr.Button("Start over", size="md", min_width=100)
            with gr.Column(scale=3, min_width=300):
                done, answer, prompt = html("", "timeline"), html("", "answer"), html("", "prompt")
        lists = html("", "lists")
        visit_outputs = [state, heading, *products, done]
        response_outputs = [answer, prompt, lists]

        def screen(now: Visit) -> list[Any]:
            buttons = [gr.update(value=text, visible=bool(text)) for text in pages.labels(now)]
            return [now, markup.results(now.heading, pages.products(now)), *buttons, pages.timeline(now)]

        def respond(now: Visit) -> Iterator[list[Any]]:
            for parts in pages.respond(now):
                yield [gr.skip() if part is None else part for part in parts]

        def on(event: Callable[..., Any], change: Callable[..., Visit], inputs: list[Any]) -> None:
            """On an event, changes the visit and then runs the LLM; a newer event replaces a waiting one."""
            quiet = {"api_visibility": "private", "show_progress": "hidden"}
            first = event(lambda *values: screen(change(*values)), inputs, visit_outputs, **quiet)
            first.then(
                respond,
                [state],
                response_outputs,
                trigger_mode="always_last",
                concurrency_id="llm",
                concurrency_limit=1,
                **quiet,
            )

        on(blocks.load, pages.start, [])
        on(who.input, pages.pick, [who])
        on(text.submit, pages.search, [state, text])
        on(go.click, pages.search, [state, text])
        on(buy.click, pages.buy, [state])
        on(undo.click, visit.undone, [state])
        on(clear.click, pages.start, [])
        clear.click(lambda: names[0], None, who, api_visibility="private", show_progress="hidden")
        for button in products:
            on(button.click, pages.click, [state, button])
    return blocks


def _html(gr: Any) -> Callable[..., Any]:
    def html(value: str, elem_id: str | None = None) -> Any:
        return gr.HTML(value, elem_id=elem_id, js_on_load=None, apply_default_css=False, padding=False)

    return html


class SecurityHeaders:
    """ASGI middleware that adds POLICY to every response, so that browsers contact no other server.

    Gradio's route of uploads, which stores files of any size from anyone, is 404: the page has none.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handles one request."""

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        if scope["type"] == "http" and scope["path"].rstrip("/").endswith("/upload"):
            await send_with_headers({"type": "http.response.start", "status": 404, "headers": []})
            await send_with_headers({"type": "http.response.body", "body": b""})
            return
        await self.app(scope, receive, send_with_headers)


def serve(blocks: Any, host: str, port: int, wait: bool = True, listening: Callable[[], None] | None = None) -> str:
    """Serves the page and returns its address.

    Args:
        blocks: the page.
        host: host name or address.
        port: port.
        wait: whether to return only after an interrupt.
        listening: called once the server listens.

    Raises:
        UserError: the port is in use.
    """
    gr = gradio()
    from starlette.middleware import Middleware

    font = ["system-ui", "sans-serif"]
    try:
        _, address, _ = blocks.queue(default_concurrency_limit=4).launch(
            server_name=in_url(host),
            server_port=port,
            share=False,
            quiet=True,
            show_error=False,
            prevent_thread_lock=True,
            footer_links=[],
            ssr_mode=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            app_kwargs={"middleware": [Middleware(SecurityHeaders)]},
            theme=gr.themes.Default(font=font, font_mono=["ui-monospace", "monospace"]),
            css=markup.style(),
        )
    except (OSError, UnicodeError) as error:
        raise address_error(host, port, error) from None
    if listening:
        listening()
    if wait:
        blocks.block_thread()
    return str(address)
