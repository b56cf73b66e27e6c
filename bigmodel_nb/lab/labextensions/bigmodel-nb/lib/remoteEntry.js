"use strict";
// What JupyterLab loads: a container in the form that webpack's module federation gives to it.
(() => {
    let scope = {};
    const base = document.currentScript.src;
    const numbers = (version) => version.split(/[.-]/).map(part => Number(part) || 0);
    const compare = (a, b) => {
        const [x, y] = [numbers(a), numbers(b)];
        return x[0] - y[0] || (x[1] ?? 0) - (y[1] ?? 0) || (x[2] ?? 0) - (y[2] ?? 0);
    };
    // The version that is in use already, as there may be one only; else the newest.
    const shared = async (name) => {
        const versions = scope[name] ?? {};
        const inUse = (version) => (versions[version].loaded ? 1 : 0);
        const best = Object.keys(versions).sort((a, b) => inUse(b) - inUse(a) || compare(b, a))[0];
        if (best === undefined) {
            throw new Error(`JupyterLab does not share ${name}`);
        }
        return (await versions[best].get())();
    };
    const page = window;
    page._JUPYTERLAB = page._JUPYTERLAB ?? {};
    page._JUPYTERLAB['bigmodel-nb'] = {
        init: (given) => {
            scope = given;
        },
        get: async (module) => {
            if (module !== './extension') {
                throw new Error(`no module ${module}`);
            }
            const { createPlugin } = await import(new URL('./plugin.js', base).href);
            const plugin = await createPlugin(shared);
            return () => ({ __esModule: true, default: plugin });
        }
    };
})();
