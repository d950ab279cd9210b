"""The Gradio page: components and events, nothing else; what they show is in view.py, markup.py and visit.py.

Nothing leaves the machine: no analytics, no version check, no fonts of others, no link to a hosted API; and the page is
served with a policy by which the browser itself asks nobody else. Gradio is imported here alone, and only when asked.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from recbole_llmfashion.errors import UserError, needs_extra
from recbole_llmfashion.prompt.texts import TEXT_LIMIT
from recbole_llmfashion.serving.demo import markup, visit
from recbole_llmfashion.serving.demo.examples import examples
from recbole_llmfashion.serving.demo.follow import Finished, Hear, follow
from recbole_llmfashion.serving.demo.view import answered, label, timeline
from recbole_llmfashion.serving.demo.visit import Visit
from recbole_llmfashion.serving.recommender import Explanation, Recommender

RESULTS = 8  # products to click
IDLE = 3600  # seconds after which a visitor's state is let go
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'"
)
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
Clock = Callable[[], float]
log = logging.getLogger(__name__)


def gradio() -> Any:
    """The library, told to keep to itself.

    Raises:
        UserError: it is not installed.
    """
    os.environ.update(OFFLINE)  # read at import
    with needs_extra("demo"):
        import gradio as library
    return library


class Pages:
    """What each event of the page gives back, without a component.

    Args:
        recommender: the run.
        clock: seconds since 1970.
    """

    def __init__(self, recommender: Recommender, clock: Clock = time.time) -> None:
        self.recommender, self.clock = recommender, clock
        self.customers = examples(recommender.state, clock())

    def start(self) -> Visit:
        """A visit of somebody who did nothing yet."""
        return self._show(Visit(), "")

    def pick(self, name: str) -> Visit:
        """The visit of an example customer, before the results of their last search."""
        chosen = self.customers.get(name, Visit())
        last = [action.query for action in chosen.actions if action.query]
        return self._show(chosen, last[-1] if last else "")

    def search(self, before: Visit, text: str) -> Visit:
        """One more search, and its results."""
        after = visit.searched(before, text, self.clock())
        return before if after is before else self._show(after, after.actions[-1].query)

    def click(self, before: Visit, text: str) -> Visit:
        """A click on the product of this label; nothing where it is not shown any more."""
        at = [item for item in before.shown if label(self.recommender.state, item) == text]
        return visit.clicked(before, at[0], self.clock()) if at else before

    def buy(self, before: Visit) -> Visit:
        """A purchase of what was clicked last."""
        return visit.bought(before, self.clock())

    def labels(self, now: Visit) -> list[str]:
        """Of the products to click; empty for a place without one."""
        found = [label(self.recommender.state, item) for item in now.shown]
        return found + [""] * (RESULTS - len(found))

    def done(self, now: Visit) -> str:
        """The timeline."""
        return markup.timeline(timeline(now, self.recommender.state), now.full)

    def ask(self, now: Visit) -> Iterator[tuple[str, str | None, str | None]]:
        """Answer, prompt and lists, again and again while an answer is generated; None for what stays as it is."""
        actions = now.told(self.recommender.state.pool.catalogue)

        def explain(on_text: Hear) -> Explanation:
            return self.recommender.explain(actions, on_text=on_text)

        yield markup.answer("", None, len(actions)), None, None
        try:
            for told in follow(explain):
                if isinstance(told, Finished):
                    found = answered(told.result)
                    said = markup.answer(found.response, found, len(actions))
                    yield said, markup.prompt(found), markup.lists(found, len(actions))
                else:
                    yield markup.answer(told.rstrip("\ufffd"), None, len(actions)), None, None
        except UserError as error:
            yield markup.problem(str(error)), None, None
        except Exception:
            log.exception("demo: an answer failed")
            yield markup.problem("The answer failed; the terminal says why."), None, None

    def _show(self, now: Visit, query: str) -> Visit:
        return visit.showing(now, self.recommender.search(query, RESULTS), query)

    def facts(self) -> list[str]:
        """A few words on the run."""
        run = self.recommender.state.run
        content, said = run.manifest.content, run.decoding
        title = "the title is looked up" if said.response_title == "catalogue" else "the title is generated"
        return [
            f"{len(self.recommender.state.live):,} products",
            f"backbone {content['backbone']['name']}",
            f"{said.decoding} decoding, {title}" if said.decoding == "constrained" else "sampled",
            f"ranking {run.ranking_settings.ranking}",
            f"seed {content['seed']}",
        ]


def build(pages: Pages) -> Any:
    """The page as gradio's Blocks.

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
                    info="made up of the run's catalogue and queries",
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
        shown = [state, heading, *products, done]
        asked = [answer, prompt, lists]

        def screen(now: Visit) -> list[Any]:
            buttons = [gr.update(value=words, visible=bool(words)) for words in pages.labels(now)]
            return [now, markup.results(now.heading), *buttons, pages.done(now)]

        def ask(now: Visit) -> Iterator[list[Any]]:
            for told in pages.ask(now):
                yield [gr.skip() if part is None else part for part in told]

        def on(event: Callable[..., Any], change: Callable[..., Visit], inputs: list[Any]) -> None:
            """An event changes the visit; then the LLM is asked, and a newer question ends the waiting for an older."""
            quiet = {"api_visibility": "private", "show_progress": "hidden"}
            first = event(lambda *given: screen(change(*given)), inputs, shown, **quiet)
            first.then(
                ask, [state], asked, trigger_mode="always_last", concurrency_id="llm", concurrency_limit=1, **quiet
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


class KeepToItself:
    """ASGI middleware: every answer carries POLICY, so that a browser asks nobody but this server."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        await self.app(scope, receive, told)


def serve(blocks: Any, host: str, port: int, wait: bool = True) -> str:
    """Serves the page, until it is interrupted; its address.

    Args:
        wait: whether to come back only then.

    Raises:
        UserError: the port is taken.
    """
    gr = gradio()
    from starlette.middleware import Middleware

    font = ["system-ui", "sans-serif"]
    try:
        _, address, _ = blocks.queue(default_concurrency_limit=4).launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            show_error=False,
            prevent_thread_lock=not wait,
            footer_links=[],
            ssr_mode=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            app_kwargs={"middleware": [Middleware(KeepToItself)]},
            theme=gr.themes.Default(font=font, font_mono=["ui-monospace", "monospace"]),
            css=markup.style(),
        )
    except OSError as error:
        raise UserError(f"demo: port {port} of {host} cannot be had ({error}); give another with --port") from None
    return str(address)
