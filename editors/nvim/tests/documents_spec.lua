local Child = require('child')
local S = require('support')

describe('the server sees of buffers', function()
  it('what is typed and not saved', function()
    local world = S.world({ S.text('read') }, { files = { ['notes.txt'] = 'saved\n' } })
    vim.cmd.edit('notes.txt')
    local session = S.session()
    local events = S.events(session)
    vim.api.nvim_buf_set_lines(0, 0, 0, true, { 'typed 🙂' })
    local path = world.folder .. '/notes.txt'
    session:send({ { type = 'mention', path = path }, { type = 'text', text = 'read it' } })
    S.wait_event(events, 'task_complete')
    local told = vim.json.encode(world.model:requests()[1])
    T.has('typed 🙂\\nsaved', told)
  end)

  it('files of the project alone, open before or after it, and none that has no name', function()
    local world = S.world({}, { files = { ['a.txt'] = 'a\n', ['b.txt'] = 'b\n' } })
    local other = S.folder() .. '/other.txt'
    S.write(other, 'x\n')
    vim.cmd.edit('a.txt')
    vim.cmd.edit(other)
    local client = S.session().server.process:client()
    vim.cmd.edit('b.txt')
    vim.cmd.enew()
    vim.cmd.new()
    vim.bo.buftype = 'nofile'
    vim.cmd.file('scratch')
    vim.cmd.edit('new.txt')
    local names = {}
    for buffer in pairs(client.attached_buffers) do
      table.insert(names, vim.fs.basename(vim.api.nvim_buf_get_name(buffer)))
    end
    table.sort(names)
    T.eq({ 'a.txt', 'b.txt', 'new.txt' }, names)
    T.eq('utf-8', client.offset_encoding)
    T.eq(world.folder, client.config.root_dir)
  end)

  it('a buffer that gets its name as it is written', function()
    S.world({})
    local client = S.session().server.process:client()
    vim.api.nvim_buf_set_lines(0, 0, -1, true, { 'text' })
    vim.cmd.write('named.txt')
    T.eq(1, vim.tbl_count(client.attached_buffers))
  end)

  it('a project that was reached through a link', function()
    local world = S.world({}, { files = { ['a.txt'] = 'a\n' } })
    local link = S.folder() .. '/link'
    vim.uv.fs_symlink(world.folder, link)
    vim.cmd.edit(link .. '/a.txt')
    local client = S.session().server.process:client()
    T.eq(1, vim.tbl_count(client.attached_buffers))
  end)

  it('again what is open after it was started again', function()
    local world = S.world({ S.text('read') }, {
      files = { ['notes.txt'] = 'saved\n' },
      setup = { restart = { delay_ms = 10 } },
    })
    vim.cmd.edit('notes.txt')
    local session = S.session()
    local events = S.events(session)
    vim.api.nvim_buf_set_lines(0, 0, 0, true, { 'typed' })
    S.signal('sigkill')
    S.wait_event(events, 'reconnected')
    session:send({ { type = 'mention', path = world.folder .. '/notes.txt' } })
    S.wait_event(events, 'task_complete')
    T.has('typed\\nsaved', vim.json.encode(world.model:requests()[1]))
  end)
end)

describe('before a command runs', function()
  local function world(more)
    return S.world({ S.shell({ 'cat', 'notes.txt' }), S.text('done') }, {
      files = { ['notes.txt'] = 'saved\n' },
      setup = vim.tbl_extend('force', { patch_review = false }, more or {}),
    })
  end

  --- Open a file with unsaved text, and have a command run.
  local function begin(child)
    child:type('iunsaved<CR><Esc>')
    child:lua([[
      require('codex.sessions_open').ensure(function(_, session)
        _G.session = session
        session:subscribe(function(msg)
          if msg.type == 'exec_command_end' then
            _G.output = msg.stdout
          end
        end)
        session:send({ { type = 'text', text = 'run it' } })
      end)
    ]])
  end

  it('unsaved files are saved if the person says so', function()
    local here = world()
    local child = Child.start({ args = { 'notes.txt' } })
    child:lua([[vim.ui.select = function(items, opts, choose)
      _G.asked = opts.prompt
      choose(items[1], 1)
    end]])
    begin(child)
    T.eq('unsaved\nsaved\n', child:wait('_G.output'))
    T.has('save notes.txt first?', child:lua('return _G.asked'))
    T.eq('unsaved\nsaved\n', S.read(here.folder .. '/notes.txt'))
  end)

  it('they are left as they are if the person does not', function()
    world()
    local child = Child.start({ args = { 'notes.txt' } })
    child:lua('vim.ui.select = function(_, _, choose) choose(nil, nil) end')
    begin(child)
    T.eq('saved\n', child:wait('_G.output'))
    T.eq(true, child:lua('return vim.bo.modified'))
  end)

  it('the question waits for a person who types to be done', function()
    world()
    local child = Child.start({ args = { 'notes.txt' } })
    child:lua([[vim.ui.select = function(items, opts, choose)
      _G.asked_in = vim.api.nvim_get_mode().mode
      choose(items[1], 1)
    end]])
    begin(child)
    child:type('osss')
    child:wait('_G.notices[1]')
    T.eq(vim.NIL, child:lua('return _G.asked_in'))
    child:type('t<Esc>')
    child:wait('_G.output')
    T.eq('n', child:lua('return _G.asked_in'))
    T.has('ssst', table.concat(child:lines(), '\n'))
  end)

  it('nothing is asked if `save_documents` is off', function()
    world({ save_documents = false })
    local child = Child.start({ args = { 'notes.txt' }, setup = { save_documents = false } })
    begin(child)
    T.eq('saved\n', child:wait('_G.output'))
  end)
end)
