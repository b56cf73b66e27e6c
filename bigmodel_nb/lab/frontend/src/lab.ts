// The parts of the running JupyterLab that this extension uses.
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { IStatusBar } from '@jupyterlab/statusbar';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';

/** Modules that every JupyterLab 4 and Notebook 7 shares. */
export interface IModules {
  apputils: typeof import('@jupyterlab/apputils');
  coreutils: typeof import('@jupyterlab/coreutils');
  notebook: typeof import('@jupyterlab/notebook');
  services: typeof import('@jupyterlab/services');
  translation: typeof import('@jupyterlab/translation');
  ui: typeof import('@jupyterlab/ui-components');
  widgets: typeof import('@lumino/widgets');
}

/** What other plugins provide; null where this front end has no such thing. */
export interface IServices {
  tracker: INotebookTracker | null;
  palette: ICommandPalette | null;
  translator: ITranslator | null;
  launcher: ILauncher | null;
  statusBar: IStatusBar | null;
}

export interface ILab extends IModules, IServices {
  app: JupyterFrontEnd;
  trans: TranslationBundle;
}

export type Shared = (name: string) => Promise<unknown>;

export async function modules(shared: Shared): Promise<IModules> {
  const names: Record<keyof IModules, string> = {
    apputils: '@jupyterlab/apputils',
    coreutils: '@jupyterlab/coreutils',
    notebook: '@jupyterlab/notebook',
    services: '@jupyterlab/services',
    translation: '@jupyterlab/translation',
    ui: '@jupyterlab/ui-components',
    widgets: '@lumino/widgets'
  };
  const found = await Promise.all(Object.entries(names).map(async ([key, name]) => [key, await shared(name)]));
  return Object.fromEntries(found) as IModules;
}

/** A module that this front end may not have, such as the launcher in Notebook 7. */
export async function optional<T>(shared: Shared, name: string): Promise<T | null> {
  try {
    return (await shared(name)) as T;
  } catch {
    return null;
  }
}

/** An element with attributes and children; strings become text, never markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function button(text: string, onClick: () => unknown, attributes: Record<string, string> = {}): HTMLButtonElement {
  const node = element('button', { type: 'button', class: 'bn-button', ...attributes }, text);
  node.addEventListener('click', () => void onClick());
  return node;
}

/** Bytes as people say them: "1.2 GB". */
export function bytes(n: number): string {
  return n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : `${Math.round(n / 1e6)} MB`;
}
