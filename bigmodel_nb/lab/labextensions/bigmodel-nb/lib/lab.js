export async function modules(shared) {
    const names = {
        apputils: '@jupyterlab/apputils',
        coreutils: '@jupyterlab/coreutils',
        notebook: '@jupyterlab/notebook',
        services: '@jupyterlab/services',
        translation: '@jupyterlab/translation',
        ui: '@jupyterlab/ui-components',
        widgets: '@lumino/widgets'
    };
    const found = await Promise.all(Object.entries(names).map(async ([key, name]) => [key, await shared(name)]));
    return Object.fromEntries(found);
}
/** A module that this front end may not have, such as the launcher in Notebook 7. */
export async function optional(shared, name) {
    try {
        return (await shared(name));
    }
    catch {
        return null;
    }
}
/** An element with attributes and children; strings become text, never markup. */
export function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
}
export function button(text, onClick, attributes = {}) {
    const node = element('button', { type: 'button', class: 'bn-button', ...attributes }, text);
    node.addEventListener('click', () => void onClick());
    return node;
}
/** Bytes as people say them: "1.2 GB". */
export function bytes(n) {
    return n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : `${Math.round(n / 1e6)} MB`;
}
