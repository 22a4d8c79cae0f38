from mmamp.migration.code.rules import signature as rule


def test_the_signature_of_1x(becomes):
    done = becomes(
        rule,
        '''
        class GAN(Base):
            def train_step(self,
                           data_batch,
                           optimizer,
                           ddp_reducer=None,
                           loss_scaler=None,
                           use_apex_amp=False,
                           running_status=None):
                """Train."""
                # data
                real = data_batch['real_img']
                f(data_batch=data_batch, optimizer=self.optimizer)
                optimizer['x'].update_params(real)
        ''',
        '''
        class GAN(Base):
            def train_step(self, data, optim_wrapper):
                """Train."""
                data = self.data_preprocessor(data, True)
                # data
                real = data['real_img']
                f(data_batch=data, optimizer=self.optimizer)
                optim_wrapper['x'].update_params(real)
        ''',
    )
    assert any("'real_img'" in x for _, x in done.warned)


def test_comments_of_the_parameters_stay(becomes):
    becomes(
        rule,
        """
        class GAN(Base):
            def train_step(self,
                           data_batch,  # a batch
                           optimizer):  # a dict
                return data_batch
        """,
        """
        class GAN(Base):
            def train_step(self,
                           data,  # a batch
                           optim_wrapper):  # a dict
                data = self.data_preprocessor(data, True)
                return data
        """,
    )


def test_a_variable_that_is_called_data_stays(becomes):
    becomes(
        rule,
        """
        class GAN(Base):
            def train_step(self, data_batch, optimizer):
                data = data_batch['x']
                return data
        """,
        """
        class GAN(Base):
            def train_step(self, data_batch, optim_wrapper):
                data_batch = self.data_preprocessor(data_batch, True)
                data = data_batch['x']
                return data
        """,
    )


def test_the_parents_step_prepares_the_data(becomes):
    becomes(
        rule,
        """
        class GAN(Base):
            def train_step(self, data, optimizer, running_status=None):
                return super().train_step(
                    data, optimizer, running_status=running_status)
        """,
        """
        class GAN(Base):
            def train_step(self, data, optim_wrapper):
                return super().train_step(
                    data, optim_wrapper)
        """,
    )


def test_an_abstract_step_has_no_data(becomes):
    becomes(
        rule,
        '''
        class GAN(Base):
            @abstractmethod
            def train_step(self, data_batch, optimizer, ddp_reducer=None):
                """Train."""
        ''',
        '''
        class GAN(Base):
            @abstractmethod
            def train_step(self, data, optim_wrapper):
                """Train."""
        ''',
    )


def test_what_still_needs_the_runner_is_marked(becomes):
    done = becomes(
        rule,
        """
        class GAN(Base):
            def train_step(self, data, optimizer, running_status=None):
                n = running_status['batch_size']
        """,
        """
        class GAN(Base):
            def train_step(self, data, optim_wrapper, running_status=None):
                data = self.data_preprocessor(data, True)
                # TODO(mmamp migrate): the runner of 1.x does not pass """
        """running_status
                n = running_status['batch_size']
        """,
    )
    assert [line for line, _ in done.todo] == [3]


def test_another_optim_wrapper_is_in_the_way(convert):
    done = convert(
        rule,
        """
        class GAN(Base):
            def train_step(self, data, optimizer):
                optim_wrapper = 3
        """,
    )
    assert [line for line, _ in done.todo] == [2]


def test_1x_stays(stays):
    stays(
        rule,
        """
        class GAN(Base):
            def train_step(self, data, optim_wrapper):
                return data
        """,
    )
