import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HeaderList } from "../http/header-list.ts";
import { joinTrace } from "./trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const OWN = "0123456789abcdef";

function joined(headers: Readonly<Record<string, string>>, percent = 100) {
  const list = new HeaderList(Object.entries(headers).flat());
  const span = joinTrace(list, percent, {
    randomHex: (bytes) => OWN.repeat(bytes / 8),
    random: () => 0.5,
  });
  return { span, headers: Object.fromEntries(list.entries()) };
}

describe("traceparent", () => {
  test("continues the client's trace with a span of the waypoint's own", () => {
    const { span, headers } = joined({ traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "a=b" });
    assert.deepEqual(span, { traceId: TRACE, spanId: OWN, parentSpanId: SPAN, sampled: true });
    assert.deepEqual(headers, { traceparent: `00-${TRACE}-${OWN}-01`, tracestate: "a=b" });
  });

  test("begins a trace where there is none, and samples its share", () => {
    assert.deepEqual(joined({}).headers, { traceparent: `00-${OWN}${OWN}-${OWN}-01` });
    assert.equal(joined({}).span.parentSpanId, undefined);
    assert.equal(joined({}, 40).span.sampled, false);
    assert.equal(joined({}, 40).headers.traceparent, `00-${OWN}${OWN}-${OWN}-00`);
  });

  test("a client's decision holds over the percentage", () => {
    assert.equal(joined({ traceparent: `00-${TRACE}-${SPAN}-00` }).span.sampled, false);
    assert.equal(joined({ traceparent: `00-${TRACE}-${SPAN}-03` }, 0).span.sampled, true);
  });

  test("what is malformed is no parent, and its state goes; later versions are read", () => {
    const zeros = "0".repeat(32);
    for (const wrong of [
      "",
      "00-x",
      `ff-${TRACE}-${SPAN}-01`,
      `00-${zeros}-${SPAN}-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      `00-${TRACE}-${SPAN}-01-more`,
      `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    ]) {
      const { span, headers } = joined({ traceparent: wrong, tracestate: "a=b" });
      assert.equal(span.parentSpanId, undefined, wrong);
      assert.equal(headers.tracestate, undefined);
    }
    assert.equal(joined({ traceparent: `cc-${TRACE}-${SPAN}-01-more` }).span.traceId, TRACE);
    const endless = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "a".repeat(5_000) };
    assert.equal(joined(endless).headers.tracestate, undefined);
  });
});

describe("B3", () => {
  test("in one header is continued in one header, and as traceparent", () => {
    const { span, headers } = joined({ b3: `${TRACE}-${SPAN}-1-${OWN}` }, 0);
    assert.deepEqual([span.traceId, span.parentSpanId, span.sampled], [TRACE, SPAN, true]);
    assert.equal(headers.b3, `${TRACE}-${OWN}-1`);
    assert.equal(headers.traceparent, `00-${TRACE}-${OWN}-01`);
  });

  test("in several headers is continued in several", () => {
    const { span, headers } = joined({
      "x-b3-traceid": SPAN,
      "x-b3-spanid": SPAN,
      "x-b3-sampled": "0",
    });
    assert.equal(span.traceId, `0000000000000000${SPAN}`);
    assert.deepEqual(headers, {
      "x-b3-traceid": `0000000000000000${SPAN}`,
      "x-b3-spanid": OWN,
      "x-b3-parentspanid": SPAN,
      "x-b3-sampled": "0",
      traceparent: `00-0000000000000000${SPAN}-${OWN}-00`,
    });
  });

  test("a decision alone holds for the trace that begins here", () => {
    assert.equal(joined({ b3: "0" }).span.sampled, false);
    assert.equal(joined({ b3: "d" }, 0).span.sampled, true);
    assert.equal(joined({ "x-b3-sampled": "false" }).span.sampled, false);
    assert.equal(joined({ b3: "nonsense" }, 0).span.sampled, false);
  });
});
