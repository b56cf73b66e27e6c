export class Course {
    constructor(lab) {
        this.lab = lab;
        this.overview = { workspace: null, lessons: [], passed: 0, of: 0, next: null, free: 0 };
        this.listeners = new Set();
        this.asked = null;
        this.again = false;
    }
    /** Call `listener` whenever the overview has been read again. */
    onChange(listener) {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }
    /** Read the overview again; calls that come while it is being read share one more reading. */
    refresh() {
        if (this.asked) {
            this.again = true;
            return this.asked;
        }
        this.asked = this.read().finally(() => {
            this.asked = null;
        });
        return this.asked;
    }
    async read() {
        do {
            this.again = false;
            this.overview = await this.ask('overview');
        } while (this.again);
        this.listeners.forEach(listener => listener());
    }
    lesson(file) {
        return this.overview.lessons.find(it => it.file === file);
    }
    /** The lesson whose copy is at this path of the server. */
    at(path) {
        return this.overview.lessons.find(it => it.path === path);
    }
    /** The lesson so many places after another, or before it. */
    beside(lesson, steps) {
        const here = this.overview.lessons.findIndex(it => it.file === lesson.file);
        return this.overview.lessons[here + steps];
    }
    exercise(id) {
        return this.overview.lessons.flatMap(it => it.exercises).find(it => it.id === id);
    }
    /** Make the learner's copy of a lesson where there is none -> its path. */
    async copy(lesson) {
        return (await this.ask('open', { file: lesson.file })).path;
    }
    reset(lesson) {
        return this.ask('reset', { file: lesson.file });
    }
    difference(lesson) {
        return this.ask('difference', undefined, { file: lesson.file });
    }
    machine(kernel) {
        return this.ask('machine', undefined, kernel ? { kernel } : {});
    }
    async ask(route, body, query = {}) {
        const { ServerConnection } = this.lab.services;
        const settings = ServerConnection.makeSettings();
        const { URLExt } = this.lab.coreutils;
        const url = URLExt.join(settings.baseUrl, 'bigmodel-nb', route) + URLExt.objectToQueryString(query);
        const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
        const response = await ServerConnection.makeRequest(url, init, settings);
        const answer = await response.json().catch(() => ({}));
        if (!response.ok) {
            throw new Error(answer.message ?? `${response.status} ${response.statusText}`);
        }
        return answer;
    }
}
/** What a search finds in a lesson: null where nothing, else the exercises and terms that hold all its words.
 *
 * A lesson whose title holds all words is found by that alone. */
export function found(lesson, query) {
    const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const holds = (text) => words.every(word => text.toLocaleLowerCase().includes(word));
    if (!words.length) {
        return { exercises: [], terms: [] };
    }
    const exercises = lesson.exercises.filter(it => holds(it.id.replace(/_/g, ' ')) || holds(it.id));
    const terms = lesson.terms.filter(holds);
    const title = holds(`${String(lesson.number).padStart(2, '0')} ${lesson.title} ${lesson.name}`);
    return title || exercises.length || terms.length ? { exercises, terms: terms.slice(0, 4) } : null;
}
