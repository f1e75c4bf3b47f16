// The description of the API as a page, with a form to try each operation. Nothing is fetched from
// other hosts.

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const pretty = (value) => JSON.stringify(value, null, 2);

const rows = (parameters) =>
  parameters.map((parameter) => {
    const input = make("input", {
      name: parameter.name,
      placeholder: String(parameter.example ?? ""),
      value: parameter.required ? String(parameter.example ?? "") : "",
    });
    input.dataset.place = parameter.in;
    input.dataset.list = parameter.schema?.type === "array" ? "yes" : "";
    const text = [parameter.description ?? parameter.schema?.description ?? ""];
    if (parameter.schema?.default !== undefined && parameter.schema.default !== "") {
      text.push(`Default: ${JSON.stringify(parameter.schema.default)}.`);
    }
    return make(
      "tr",
      {},
      make("td", {}, make("code", {}, parameter.name), parameter.required ? " (required)" : ""),
      make("td", {}, parameter.in),
      make("td", {}, text.join(" ")),
      make("td", {}, input),
    );
  });

const address = (path, inputs) => {
  let filled = path;
  const query = new URLSearchParams();
  for (const input of inputs) {
    if (input.dataset.place === "path") {
      filled = filled.replace(`{${input.name}}`, encodeURIComponent(input.value));
    } else if (input.dataset.place === "query" && input.value !== "") {
      const values = input.dataset.list ? input.value.split(",") : [input.value];
      values.forEach((value) => query.append(input.name, value.trim()));
    }
  }
  return query.size ? `${filled}?${query}` : filled;
};

const attempt = async (method, path, form, output) => {
  const inputs = [...form.querySelectorAll("input")];
  const headers = {};
  const key = document.getElementById("key").value;
  if (key) headers.Authorization = `Bearer ${key}`;
  for (const input of inputs) {
    if (input.dataset.place === "header" && input.value) headers[input.name] = input.value;
  }
  const body = form.querySelector("textarea")?.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  output.textContent = "…";
  try {
    const answer = await fetch(address(path, inputs), { method: method.toUpperCase(), headers, body });
    const text = await answer.text();
    let shown = text;
    try {
      shown = pretty(JSON.parse(text));
    } catch {
      // No JSON: it is shown as it came.
    }
    output.textContent = `${answer.status} ${answer.statusText}\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
};

const operation = (method, path, described) => {
  const id = described.operationId;
  const form = make("form");
  if (described.parameters?.length) {
    const head = ["Parameter", "In", "Meaning", "Value"].map((text) => make("th", {}, text));
    form.append(
      make(
        "table",
        {},
        make("thead", {}, make("tr", {}, ...head)),
        make("tbody", {}, ...rows(described.parameters)),
      ),
    );
  }
  const body = described.requestBody?.content?.["application/json"];
  if (body) {
    const label = make("label", {}, "Body");
    label.append(make("textarea", { value: pretty(body.example), spellcheck: false }));
    form.append(label);
  }
  const output = make("pre", { hidden: true });
  form.append(make("button", {}, "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    output.hidden = false;
    attempt(method, path, form, output);
  });
  const answers = Object.entries(described.responses).map(([status, answer]) => {
    const example = Object.values(answer.content ?? {})[0]?.example;
    const shown = make("details", {}, make("summary", {}, `${status} ${answer.description}`));
    if (example !== undefined) shown.append(make("pre", {}, pretty(example)));
    return shown;
  });
  const name = make("span", { className: "method" }, method.toUpperCase());
  const summary = make("summary", {}, name, make("code", {}, path), ` ${described.summary ?? ""}`);
  const text = make("p", {}, described.description ?? "");
  return make("details", { id }, summary, text, form, output, make("h4", {}, "Answers"), ...answers);
};

const show = (description) => {
  document.getElementById("version").textContent = description.info.version;
  document.getElementById("description").textContent = description.info.description.trim();
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, described] of Object.entries(methods)) {
      const tag = described.tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push([method, path, described]);
    }
  }
  const contents = make("ul");
  const sections = [...groups].map(([tag, operations]) => {
    operations.forEach(([method, path, described]) => {
      const link = make("a", { href: `#${described.operationId}` }, `${method.toUpperCase()} ${path}`);
      link.addEventListener("click", () => {
        document.getElementById(described.operationId).open = true;
      });
      contents.append(make("li", {}, link));
    });
    return make("section", {}, make("h2", {}, tag), ...operations.map((one) => operation(...one)));
  });
  document.getElementById("contents").replaceChildren(contents);
  document.getElementById("operations").replaceChildren(...sections);
  const opened = document.getElementById(location.hash.slice(1));
  if (opened?.tagName === "DETAILS") opened.open = true;
};

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => {
    document.getElementById("operations").textContent = `The description cannot be read: ${error}`;
  });
